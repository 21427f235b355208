package main

import (
	"context"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/spanner/admin/database/apiv1/databasepb"
	"cloud.google.com/go/spanner/spansql"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// ddlTime is how long a schema change is under way, so that clients have to ask again.
const ddlTime = 150 * time.Millisecond

// admin changes the schema; operations tells how far that is.
type admin struct {
	databasepb.UnimplementedDatabaseAdminServer
	s *server
}

type operations struct {
	longrunningpb.UnimplementedOperationsServer
	s *server
}

func (a *admin) UpdateDatabaseDdl(_ context.Context, r *databasepb.UpdateDatabaseDdlRequest) (*longrunningpb.Operation, error) {
	if r.Database != a.s.database {
		return nil, status.Errorf(codes.NotFound, "Database not found: %s", r.Database)
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if err := a.s.applyDdl(r); err != nil {
		return nil, err
	}
	if err := a.s.journal.add(r); err != nil {
		return nil, err
	}
	name := a.s.next(r.Database + "/operations/")
	a.s.names.Lock()
	defer a.s.names.Unlock()
	a.s.ddl[name] = time.Now().Add(ddlTime)
	return &longrunningpb.Operation{Name: name}, nil
}

// applyDdl runs the statements in order; those before one that fails stay, as in Spanner. The fake does not know
// IF NOT EXISTS.
func (s *server) applyDdl(r *databasepb.UpdateDatabaseDdlRequest) error {
	for _, text := range r.Statements {
		statement, err := spansql.ParseDDLStmt(text)
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		err = s.fake.UpdateDDL(&spansql.DDL{List: []spansql.DDLStmt{statement}})
		table, isTable := statement.(*spansql.CreateTable)
		if isTable && table.IfNotExists && status.Code(err) == codes.AlreadyExists {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *operations) GetOperation(_ context.Context, r *longrunningpb.GetOperationRequest) (*longrunningpb.Operation, error) {
	o.s.names.Lock()
	defer o.s.names.Unlock()
	done, ok := o.s.ddl[r.Name]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "Operation not found: %s", r.Name)
	}
	if time.Now().Before(done) {
		return &longrunningpb.Operation{Name: r.Name}, nil
	}
	result := &longrunningpb.Operation_Response{Response: &anypb.Any{}}
	return &longrunningpb.Operation{Name: r.Name, Done: true, Result: result}, nil
}
