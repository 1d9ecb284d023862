// `send grpc|http ENDPOINT CALLS`: model calls through OpenTelemetry's Go SDK and one of its exporters, each call
// beneath a root span. Fails unless every span was exported.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	kind, endpoint := os.Args[1], os.Args[2]
	calls, err := strconv.Atoi(os.Args[3])
	check(err)
	ctx := context.Background()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(check))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter(ctx, kind, endpoint), sdktrace.WithMaxExportBatchSize(20)),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "cart"), attribute.String("tokensense.team", "checkout"))),
	)
	tracer := provider.Tracer("test")
	for range calls {
		inside, root := tracer.Start(ctx, "POST /answer")
		_, call := tracer.Start(inside, "chat", trace.WithAttributes(attributes()...))
		call.End()
		root.End()
	}
	check(provider.Shutdown(ctx))
}

func exporter(ctx context.Context, kind, endpoint string) *otlptrace.Exporter {
	var made *otlptrace.Exporter
	var err error
	if kind == "grpc" {
		made, err = otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(endpoint), otlptracegrpc.WithInsecure(),
			otlptracegrpc.WithCompressor("gzip"))
	} else {
		made, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(endpoint), otlptracehttp.WithInsecure(),
			otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	check(err)
	return made
}

func attributes() []attribute.KeyValue {
	var given map[string]any
	check(json.Unmarshal([]byte(os.Getenv("CALL_ATTRIBUTES")), &given))
	var made []attribute.KeyValue
	for key, value := range given {
		switch value := value.(type) {
		case string:
			made = append(made, attribute.String(key, value))
		case float64:
			made = append(made, attribute.Int64(key, int64(value)))
		}
	}
	return made
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
