// Dapr's own state store drivers (github.com/dapr/components-contrib) behind its pluggable component protocol, on a Unix
// socket: a test tool. What they write is what Dapr writes, and as a pluggable component it is one that knows nothing of
// Pannier.
//
//	dapr-drivers -socket /tmp/sockets/dapr.sock
//
// Init wants the property "driver", a name of drivers.go, and gives the driver all the others. Each Component (header
// x-component-instance) has a driver of its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/dapr/components-contrib/state"
	"github.com/dapr/kit/logger"
)

const instanceHeader = "x-component-instance"

// server keeps an opened driver for each Component.
type server struct {
	pb.UnimplementedStateStoreServer
	pb.UnimplementedTransactionalStateStoreServer
	pb.UnimplementedTransactionalStoreMultiMaxSizeServer

	mu     sync.Mutex
	opened map[string]state.Store
}

func main() {
	socket := flag.String("socket", "", "where to listen")
	flag.Parse()
	if err := serve(*socket); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(socket string) error {
	// What a killed process left behind.
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	s := &server{opened: map[string]state.Store{}}
	rpc := grpc.NewServer(grpc.MaxRecvMsgSize(64<<20), grpc.MaxSendMsgSize(64<<20))
	pb.RegisterStateStoreServer(rpc, s)
	pb.RegisterTransactionalStateStoreServer(rpc, s)
	pb.RegisterTransactionalStoreMultiMaxSizeServer(rpc, s)
	reflection.Register(rpc)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		rpc.Stop()
	}()
	fmt.Println("ready")
	return rpc.Serve(listener)
}

func instanceOf(ctx context.Context) string {
	headers, _ := metadata.FromIncomingContext(ctx)
	if names := headers.Get(instanceHeader); len(names) > 0 {
		return names[0]
	}
	return ""
}

// of gives the driver of the calling Component.
func (s *server) of(ctx context.Context) (state.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	store, ok := s.opened[instanceOf(ctx)]
	if !ok {
		return nil, status.Error(codes.FailedPrecondition, "this Component has not been through Init")
	}
	return store, nil
}

func (s *server) Init(ctx context.Context, request *pb.InitRequest) (*pb.InitResponse, error) {
	properties := map[string]string{}
	for name, value := range request.GetMetadata().GetProperties() {
		properties[name] = value
	}
	name := properties["driver"]
	delete(properties, "driver")
	open, ok := drivers[name]
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "driver: got %q, want a name of drivers.go", name)
	}
	store := open(logger.NewLogger("dapr"))
	described := state.Metadata{}
	described.Name = instanceOf(ctx)
	described.Properties = properties
	// Not the call's context: drivers keep it for what they do in the background.
	if err := store.Init(context.Background(), described); err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, ok := s.opened[described.Name]; ok {
		_ = before.Close()
	}
	s.opened[described.Name] = store
	return &pb.InitResponse{}, nil
}

func (s *server) Features(ctx context.Context, _ *pb.FeaturesRequest) (*pb.FeaturesResponse, error) {
	store, err := s.of(ctx)
	if err != nil {
		return nil, err
	}
	response := &pb.FeaturesResponse{}
	for _, feature := range store.Features() {
		// Neither is served here.
		if feature != state.FeatureQueryAPI && feature != state.FeatureKeysLike {
			response.Features = append(response.Features, string(feature))
		}
	}
	return response, nil
}

func (s *server) Ping(ctx context.Context, _ *pb.PingRequest) (*pb.PingResponse, error) {
	_, err := s.of(ctx)
	return &pb.PingResponse{}, err
}
