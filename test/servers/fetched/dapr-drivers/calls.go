package main

import (
	"context"
	"encoding/json"
	"errors"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dapr/components-contrib/state"
)

// decodedKey in a request's metadata stands for a value that Dapr has got over HTTP: it hands on what the JSON means, and
// the driver encodes that in its own way. Without it the bytes go through, as over gRPC.
const decodedKey = "test.decoded"

func (s *server) Get(ctx context.Context, request *pb.GetRequest) (*pb.GetResponse, error) {
	store, err := s.of(ctx)
	if err != nil {
		return nil, err
	}
	got, err := store.Get(ctx, &state.GetRequest{
		Key:      request.GetKey(),
		Metadata: request.GetMetadata(),
		Options:  state.GetStateOption{Consistency: consistency(request.GetConsistency())},
	})
	if err != nil {
		return nil, statusOf(err)
	}
	return &pb.GetResponse{Data: got.Data, Etag: etag(got.ETag), Metadata: got.Metadata}, nil
}

func (s *server) BulkGet(ctx context.Context, request *pb.BulkGetRequest) (*pb.BulkGetResponse, error) {
	store, err := s.of(ctx)
	if err != nil {
		return nil, err
	}
	gets := make([]state.GetRequest, len(request.GetItems()))
	for i, item := range request.GetItems() {
		gets[i] = state.GetRequest{Key: item.GetKey(), Metadata: item.GetMetadata()}
	}
	got, err := store.BulkGet(ctx, gets, state.BulkGetOpts{Parallelism: int(request.GetOptions().GetParallelism())})
	if err != nil {
		return nil, statusOf(err)
	}
	response := &pb.BulkGetResponse{}
	for _, item := range got {
		response.Items = append(response.Items, &pb.BulkStateItem{
			Key: item.Key, Data: item.Data, Etag: etag(item.ETag), Metadata: item.Metadata, Error: item.Error,
		})
	}
	return response, nil
}

func (s *server) Set(ctx context.Context, request *pb.SetRequest) (*pb.SetResponse, error) {
	store, err := s.of(ctx)
	if err != nil {
		return nil, err
	}
	set, err := setOf(request)
	if err != nil {
		return nil, err
	}
	return &pb.SetResponse{}, statusOf(store.Set(ctx, set))
}

func (s *server) Delete(ctx context.Context, request *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	store, err := s.of(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.DeleteResponse{}, statusOf(store.Delete(ctx, deleteOf(request)))
}

func (s *server) Transact(ctx context.Context, request *pb.TransactionalStateRequest) (*pb.TransactionalStateResponse, error) {
	store, err := s.of(ctx)
	if err != nil {
		return nil, err
	}
	transactional, ok := store.(state.TransactionalStore)
	if !ok {
		return nil, status.Error(codes.Unimplemented, "the driver has no transactions")
	}
	multi := &state.TransactionalStateRequest{Metadata: request.GetMetadata()}
	for _, operation := range request.GetOperations() {
		if operation.GetSet() == nil {
			multi.Operations = append(multi.Operations, *deleteOf(operation.GetDelete()))
			continue
		}
		set, err := setOf(operation.GetSet())
		if err != nil {
			return nil, err
		}
		multi.Operations = append(multi.Operations, *set)
	}
	return &pb.TransactionalStateResponse{}, statusOf(transactional.Multi(ctx, multi))
}

func (s *server) MultiMaxSize(ctx context.Context, _ *pb.MultiMaxSizeRequest) (*pb.MultiMaxSizeResponse, error) {
	store, err := s.of(ctx)
	if err != nil {
		return nil, err
	}
	limited, ok := store.(state.TransactionalStoreMultiMaxSize)
	if !ok {
		return &pb.MultiMaxSizeResponse{MaxSize: -1}, nil
	}
	return &pb.MultiMaxSizeResponse{MaxSize: int64(limited.MultiMaxSize())}, nil
}

func setOf(request *pb.SetRequest) (*state.SetRequest, error) {
	set := &state.SetRequest{
		Key:      request.GetKey(),
		Value:    request.GetValue(),
		ETag:     textOf(request.GetEtag()),
		Metadata: map[string]string{},
		Options: state.SetStateOption{
			Concurrency: concurrency(request.GetOptions().GetConcurrency()),
			Consistency: consistency(request.GetOptions().GetConsistency()),
		},
	}
	for name, value := range request.GetMetadata() {
		set.Metadata[name] = value
	}
	if set.Metadata[decodedKey] == "true" {
		delete(set.Metadata, decodedKey)
		var value any
		if err := json.Unmarshal(request.GetValue(), &value); err != nil {
			return nil, status.Error(codes.InvalidArgument, "value: want JSON")
		}
		set.Value = value
	}
	if contentType, ok := set.Metadata["contentType"]; ok {
		set.ContentType = &contentType
	}
	return set, nil
}

func deleteOf(request *pb.DeleteRequest) *state.DeleteRequest {
	return &state.DeleteRequest{
		Key:      request.GetKey(),
		ETag:     textOf(request.GetEtag()),
		Metadata: request.GetMetadata(),
		Options: state.DeleteStateOption{
			Concurrency: concurrency(request.GetOptions().GetConcurrency()),
			Consistency: consistency(request.GetOptions().GetConsistency()),
		},
	}
}

// statusOf says of a failed ETag what the protocol has for it, and of everything else what the driver said.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	var conflict *state.ETagError
	if !errors.As(err, &conflict) {
		return status.Error(codes.Unknown, err.Error())
	}
	code := codes.FailedPrecondition
	if conflict.Kind() == state.ETagInvalid {
		code = codes.InvalidArgument
	}
	violation := &errdetails.BadRequest_FieldViolation{Field: "etag", Description: err.Error()}
	detailed, detailErr := status.New(code, err.Error()).WithDetails(
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{violation}},
	)
	if detailErr != nil {
		return detailErr
	}
	return detailed.Err()
}

func etag(text *string) *pb.Etag {
	if text == nil {
		return nil
	}
	return &pb.Etag{Value: *text}
}

func textOf(etag *pb.Etag) *string {
	if etag == nil {
		return nil
	}
	return &etag.Value
}

func consistency(word pb.StateOptions_StateConsistency) string {
	switch word {
	case pb.StateOptions_CONSISTENCY_STRONG:
		return state.Strong
	case pb.StateOptions_CONSISTENCY_EVENTUAL:
		return state.Eventual
	}
	return ""
}

func concurrency(word pb.StateOptions_StateConcurrency) string {
	switch word {
	case pb.StateOptions_CONCURRENCY_FIRST_WRITE:
		return state.FirstWrite
	case pb.StateOptions_CONCURRENCY_LAST_WRITE:
		return state.LastWrite
	}
	return ""
}
