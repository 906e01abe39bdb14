//go:build peers

package main

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The echo service of gRPC, described by hand so that no code needs to be generated: one unary
// method whose request and response are a message with one field of bytes.
const grpcMethod = "/bench.Echo/Echo"

func grpcHandler(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := &wrapperspb.BytesValue{}
	if err := decode(request); err != nil {
		return nil, err
	}
	return request, nil
}

func serveGRPC(address string) error {
	listener, err := net.Listen("unix", address)
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: grpcHandler}},
	}, nil)
	return s.Serve(listener)
}

type grpcClient struct{ conn *grpc.ClientConn }

func dialGRPC(address string) (echoer, error) {
	conn, err := grpc.NewClient("unix:"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return &grpcClient{conn}, nil
}

func (c *grpcClient) echo(dst, request []byte) ([]byte, error) {
	var response wrapperspb.BytesValue
	err := c.conn.Invoke(context.Background(), grpcMethod, &wrapperspb.BytesValue{Value: request}, &response)
	return append(dst, response.Value...), err
}

func (c *grpcClient) close() { c.conn.Close() }
