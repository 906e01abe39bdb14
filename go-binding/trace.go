package hearth

import "context"

// TraceContext is a W3C trace context. It travels with every request that is sent under a context
// made by [WithTrace], and a failed request's [Error] carries the trace id.
type TraceContext struct {
	TraceID [16]byte
	SpanID  [8]byte
	Flags   byte
}

type traceKey struct{}

// WithTrace returns a context whose operations belong to a trace. Reads from shared memory send
// nothing and are not traced.
func WithTrace(ctx context.Context, trace TraceContext) context.Context {
	return context.WithValue(ctx, traceKey{}, trace)
}

// traceOf returns the zero trace without WithTrace.
func traceOf(ctx context.Context) TraceContext {
	trace, _ := ctx.Value(traceKey{}).(TraceContext)
	return trace
}
