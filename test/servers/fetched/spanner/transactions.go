package main

import (
	"context"
	"fmt"
	"log"

	"cloud.google.com/go/spanner/apiv1/spannerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// largeSize is the length from which a value is kept outside the fake, whose messages have at most 4 MiB.
	largeSize = 1 << 20
	// askAgain is how often a commit is answered with "send it once more, with this token": each so many.
	askAgain = 8
)

// transaction is a read-write one. It takes no locks: a commit is ABORTED when a row that it read has changed since it
// began, which is as serializable, and comes as often to clients that compete.
type transaction struct {
	began  uint64 // how many commits there were
	read   map[string]bool
	wide   bool // it read a range
	tokens int32
	asked  *spannerpb.CommitRequest  // waits for its second sending
	done   *spannerpb.CommitResponse // for a commit that is sent again
}

func aborted(why string) error { return status.Error(codes.Aborted, why) }

// BeginTransaction begins read-only transactions, which tell the time; read-write ones begin with a read.
func (s *server) BeginTransaction(_ context.Context, r *spannerpb.BeginTransactionRequest) (*spannerpb.Transaction, error) {
	if err := s.known(r.Session); err != nil {
		return nil, err
	}
	if r.GetOptions().GetReadOnly() == nil {
		return nil, status.Error(codes.Unimplemented, "this test server begins read-write transactions with a read")
	}
	return &spannerpb.Transaction{Id: []byte(s.next("ro")), ReadTimestamp: now(r.Options)}, nil
}

// enter finds or begins the transaction that a read is in, and gives what the answer tells of it.
func (s *server) enter(r *spannerpb.ReadRequest) (*spannerpb.Transaction, error) {
	s.names.Lock()
	defer s.names.Unlock()
	var t *transaction
	tx := &spannerpb.Transaction{}
	switch selector := r.GetTransaction().GetSelector().(type) {
	case *spannerpb.TransactionSelector_SingleUse:
		tx.ReadTimestamp = now(selector.SingleUse)
		return tx, nil
	case *spannerpb.TransactionSelector_Begin:
		s.made++
		id := fmt.Sprintf("rw%x-%d", s.started, s.made)
		t = &transaction{began: s.commits, read: map[string]bool{}}
		s.transactions[id], tx.Id = t, []byte(id)
	case *spannerpb.TransactionSelector_Id:
		t = s.transactions[string(selector.Id)]
	}
	if t == nil {
		return nil, aborted("there is no such transaction")
	}
	t.wide = t.wide || len(r.GetKeySet().GetRanges()) > 0
	for _, key := range r.GetKeySet().GetKeys() {
		t.read[rowOf(r.Table, key.Values[0])] = true
	}
	t.tokens++
	tx.PrecommitToken = tokenOf(t)
	return tx, nil
}

func tokenOf(t *transaction) *spannerpb.MultiplexedSessionPrecommitToken {
	return &spannerpb.MultiplexedSessionPrecommitToken{PrecommitToken: []byte(fmt.Sprint("token", t.tokens)), SeqNum: t.tokens}
}

// rowOf names a row. Tables here have one text as their primary key, and it is their first column.
func rowOf(table string, key *structpb.Value) string { return table + "/" + key.GetStringValue() }

// Rollback forgets a transaction; for one that nobody knows it succeeds too.
func (s *server) Rollback(_ context.Context, r *spannerpb.RollbackRequest) (*emptypb.Empty, error) {
	s.names.Lock()
	defer s.names.Unlock()
	if t := s.transactions[string(r.TransactionId)]; t != nil && t.done == nil {
		delete(s.transactions, string(r.TransactionId))
	}
	return &emptypb.Empty{}, nil
}

// Commit applies all mutations or none. Of a transaction with an id it may be sent again, and is answered the same.
func (s *server) Commit(ctx context.Context, r *spannerpb.CommitRequest) (*spannerpb.CommitResponse, error) {
	if err := s.known(r.Session); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names.Lock()
	defer s.names.Unlock()
	if r.GetSingleUseTransaction() != nil {
		return s.carryOut(ctx, r)
	}
	t := s.transactions[string(r.GetTransactionId())]
	switch {
	case t == nil:
		return nil, aborted("there is no such transaction")
	case t.done != nil:
		return t.done, nil
	case s.overtaken(t):
		delete(s.transactions, string(r.GetTransactionId()))
		return nil, aborted("a row that the transaction has read was changed")
	case t.asked != nil && r.GetPrecommitToken().GetSeqNum() < t.tokens:
		// The answer that asked for it was lost.
		return onceMore(t), nil
	case r.GetPrecommitToken().GetSeqNum() != t.tokens:
		return nil, status.Errorf(codes.FailedPrecondition, "the commit has token %d in place of %d", r.GetPrecommitToken().GetSeqNum(), t.tokens)
	case t.asked != nil:
		r = t.asked
	case s.commits%askAgain == 0:
		t.tokens++
		t.asked = r
		return onceMore(t), nil
	}
	response, err := s.carryOut(ctx, r)
	t.done = response
	return response, err
}

func onceMore(t *transaction) *spannerpb.CommitResponse {
	again := &spannerpb.CommitResponse_PrecommitToken{PrecommitToken: tokenOf(t)}
	return &spannerpb.CommitResponse{MultiplexedSessionRetry: again}
}

func (s *server) overtaken(t *transaction) bool {
	for row := range t.read {
		if s.lastCommit[row] > t.began {
			return true
		}
	}
	return t.wide && s.commits > t.began
}

func (s *server) carryOut(ctx context.Context, r *spannerpb.CommitRequest) (*spannerpb.CommitResponse, error) {
	if err := s.judge(ctx, r.Mutations); err != nil {
		return nil, err
	}
	if err := s.journal.add(r); err != nil {
		return nil, err
	}
	if err := s.apply(r.Mutations); err != nil {
		// Half of it may be there, and what is answered would be wrong.
		log.Fatal("commit: ", err)
	}
	return &spannerpb.CommitResponse{CommitTimestamp: timestamppb.Now()}, nil
}

// judge refuses what could fail in the middle of apply.
func (s *server) judge(ctx context.Context, mutations []*spannerpb.Mutation) error {
	for _, m := range mutations {
		table, columns := m.GetDelete().GetTable(), []string(nil)
		if w := m.GetInsertOrUpdate(); w != nil {
			table, columns = w.Table, w.Columns
		} else if m.GetDelete() == nil || len(m.GetDelete().GetKeySet().GetRanges()) > 0 || m.GetDelete().GetKeySet().GetAll() {
			return status.Error(codes.Unimplemented, "this test server knows insert_or_update, and delete by keys")
		}
		look := &spannerpb.ReadRequest{Table: table, Columns: columns, KeySet: &spannerpb.KeySet{All: true}, Limit: 1}
		if _, err := s.rows(ctx, look); err != nil {
			return err
		}
	}
	return nil
}

// apply changes the rows, in messages that the fake takes.
func (s *server) apply(mutations []*spannerpb.Mutation) error {
	s.commits++
	for _, m := range mutations {
		for _, key := range m.GetDelete().GetKeySet().GetKeys() {
			s.lastCommit[rowOf(m.GetDelete().Table, key.Values[0])] = s.commits
		}
		w := m.GetInsertOrUpdate()
		if w == nil {
			if err := s.innerCommit(m); err != nil {
				return err
			}
			continue
		}
		for _, row := range w.Values {
			s.lastCommit[rowOf(w.Table, row.Values[0])] = s.commits
			one := &spannerpb.Mutation_Write{Table: w.Table, Columns: w.Columns, Values: []*structpb.ListValue{s.small(row)}}
			if err := s.innerCommit(&spannerpb.Mutation{Operation: &spannerpb.Mutation_InsertOrUpdate{InsertOrUpdate: one}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// small keeps large values here, and puts something into their places that can be found again.
func (s *server) small(row *structpb.ListValue) *structpb.ListValue {
	out := proto.Clone(row).(*structpb.ListValue)
	for i, value := range out.Values {
		if text := value.GetStringValue(); len(text) > largeSize {
			// 36 characters are base64 without padding, and come back as they are.
			place := fmt.Sprintf("LargeValue%026d", len(s.large))
			s.large[place] = text
			out.Values[i] = structpb.NewStringValue(place)
		}
	}
	return out
}

func (s *server) innerCommit(m *spannerpb.Mutation) error {
	ctx := context.Background()
	t, err := s.inner.BeginTransaction(ctx, &spannerpb.BeginTransactionRequest{Session: s.session})
	if err != nil {
		return err
	}
	id := &spannerpb.CommitRequest_TransactionId{TransactionId: t.Id}
	_, err = s.inner.Commit(ctx, &spannerpb.CommitRequest{Session: s.session, Mutations: []*spannerpb.Mutation{m}, Transaction: id})
	return err
}
