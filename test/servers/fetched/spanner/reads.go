package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"cloud.google.com/go/spanner/apiv1/spannerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// pieceSize is the length of the pieces that a long value is sent in.
const pieceSize = 512 << 10

// StreamingRead reads rows by key or range. All are in memory before the first is sent, so that a client that takes
// nothing holds up nobody.
func (s *server) StreamingRead(r *spannerpb.ReadRequest, out spannerpb.Spanner_StreamingReadServer) error {
	if err := s.known(r.Session); err != nil {
		return err
	}
	s.mu.RLock()
	tx, err := s.enter(r)
	if err != nil {
		s.mu.RUnlock()
		return err
	}
	parts, err := s.rows(out.Context(), r)
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	return send(parts, tx, out.Send)
}

func (s *server) rows(ctx context.Context, r *spannerpb.ReadRequest) ([]*spannerpb.PartialResultSet, error) {
	inner := proto.Clone(r).(*spannerpb.ReadRequest)
	inner.Session, inner.Transaction = s.session, nil
	stream, err := s.inner.StreamingRead(ctx, inner)
	if err != nil {
		return nil, err
	}
	parts, err := s.collect(stream)
	return parts, inSpannersWords(err, r.Table)
}

// inSpannersWords says what the fake says about a table as Spanner does.
func inSpannersWords(err error, table string) error {
	switch {
	case status.Code(err) == codes.NotFound && strings.Contains(err.Error(), "no table named"):
		return status.Errorf(codes.NotFound, "Table not found: %s", table)
	case err != nil && strings.Contains(err.Error(), "not in table"):
		return status.Errorf(codes.NotFound, "Column not found in table %s", table)
	}
	return err
}

// ExecuteStreamingSql runs a query, for people and tests that look at the rows.
func (s *server) ExecuteStreamingSql(r *spannerpb.ExecuteSqlRequest, out spannerpb.Spanner_ExecuteStreamingSqlServer) error {
	if err := s.known(r.Session); err != nil {
		return err
	}
	s.mu.RLock()
	stream, err := s.inner.ExecuteStreamingSql(out.Context(), s.statement(r.Sql))
	var parts []*spannerpb.PartialResultSet
	if err == nil {
		parts, err = s.collect(stream)
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	return send(parts, nil, out.Send)
}

// statement puts a parameter in the place of CURRENT_TIMESTAMP(), which the fake lacks.
func (s *server) statement(sql string) *spannerpb.ExecuteSqlRequest {
	now := structpb.NewStringValue(time.Now().UTC().Format(time.RFC3339Nano))
	return &spannerpb.ExecuteSqlRequest{
		Session:    s.session,
		Sql:        strings.ReplaceAll(sql, "CURRENT_TIMESTAMP()", "@server_now"),
		Params:     &structpb.Struct{Fields: map[string]*structpb.Value{"server_now": now}},
		ParamTypes: map[string]*spannerpb.Type{"server_now": {Code: spannerpb.TypeCode_TIMESTAMP}},
	}
}

type stream interface {
	Recv() (*spannerpb.PartialResultSet, error)
}

// collect reads a stream of the fake to its end, and puts large values back into their places.
func (s *server) collect(from stream) ([]*spannerpb.PartialResultSet, error) {
	var parts []*spannerpb.PartialResultSet
	for {
		part, err := from.Recv()
		if errors.Is(err, io.EOF) {
			return parts, nil
		} else if err != nil {
			return nil, err
		}
		for i, value := range part.Values {
			if whole, ok := s.large[value.GetStringValue()]; ok {
				part.Values[i] = structpb.NewStringValue(whole)
			}
		}
		parts = append(parts, part)
	}
}

// send sends rows, long values in pieces.
func send(parts []*spannerpb.PartialResultSet, tx *spannerpb.Transaction, to func(*spannerpb.PartialResultSet) error) error {
	var token *spannerpb.MultiplexedSessionPrecommitToken
	if tx != nil {
		token, tx.PrecommitToken = tx.PrecommitToken, nil
	}
	for i, part := range parts {
		if part.Metadata != nil {
			part.Metadata.Transaction = tx
		}
		if i == 0 {
			part.PrecommitToken = token
		}
		for _, piece := range pieces(part) {
			if err := to(piece); err != nil {
				return err
			}
		}
	}
	return nil
}

func pieces(part *spannerpb.PartialResultSet) []*spannerpb.PartialResultSet {
	out := []*spannerpb.PartialResultSet{{Metadata: part.Metadata, PrecommitToken: part.PrecommitToken}}
	for _, value := range part.Values {
		text, isText := value.GetKind().(*structpb.Value_StringValue)
		for isText && len(text.StringValue) > pieceSize {
			last := out[len(out)-1]
			last.Values = append(last.Values, structpb.NewStringValue(text.StringValue[:pieceSize]))
			last.ChunkedValue = true
			out = append(out, &spannerpb.PartialResultSet{})
			text = &structpb.Value_StringValue{StringValue: text.StringValue[pieceSize:]}
			value = &structpb.Value{Kind: text}
		}
		last := out[len(out)-1]
		last.Values = append(last.Values, value)
	}
	return out
}

// now is the server's time, where a read asks for it.
func now(o *spannerpb.TransactionOptions) *timestamppb.Timestamp {
	if o.GetReadOnly().GetReturnReadTimestamp() {
		return timestamppb.Now()
	}
	return nil
}
