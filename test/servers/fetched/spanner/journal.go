package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"cloud.google.com/go/spanner/admin/database/apiv1/databasepb"
	"cloud.google.com/go/spanner/apiv1/spannerpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// journal is a file of the requests that were carried out, each with its length before it. A nil file keeps nothing.
type journal struct {
	file *os.File
}

// openJournal replays what the file holds. A last entry that a kill cut short was never answered, and is dropped.
func openJournal(path string, replay func(proto.Message) error) (*journal, error) {
	if path == "" {
		return &journal{}, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	whole := int64(0)
	for {
		entry, size, err := readEntry(file)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if err := replay(entry); err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
		whole += size
	}
	if err := file.Truncate(whole); err != nil {
		return nil, err
	}
	_, err = file.Seek(whole, io.SeekStart)
	return &journal{file: file}, err
}

func readEntry(from io.Reader) (proto.Message, int64, error) {
	var length uint32
	if err := binary.Read(from, binary.BigEndian, &length); err != nil {
		return nil, 0, err
	}
	bytes := make([]byte, length)
	if _, err := io.ReadFull(from, bytes); err != nil {
		return nil, 0, err
	}
	var wrapped anypb.Any
	if err := proto.Unmarshal(bytes, &wrapped); err != nil {
		return nil, 0, err
	}
	entry, err := wrapped.UnmarshalNew()
	return entry, int64(length) + 4, err
}

// add writes an entry with one call of the system, so that a kill leaves it whole or cut short at the end.
func (j *journal) add(entry proto.Message) error {
	if j.file == nil {
		return nil
	}
	wrapped, err := anypb.New(entry)
	if err != nil {
		return err
	}
	bytes, err := proto.Marshal(wrapped)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(bytes))), bytes...))
	return err
}

func (s *server) replay(entry proto.Message) error {
	switch r := entry.(type) {
	case *databasepb.UpdateDatabaseDdlRequest:
		return s.applyDdl(r)
	case *spannerpb.CommitRequest:
		return s.apply(r.Mutations)
	}
	return fmt.Errorf("unknown entry %T", entry)
}
