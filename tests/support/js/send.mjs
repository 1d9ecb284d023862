// `node send.mjs http-json|http-protobuf|grpc ENDPOINT CALLS`: model calls through OpenTelemetry's JavaScript SDK and
// one of its exporters, each call beneath a root span. Fails unless every span was exported.
import { context, diag, DiagConsoleLogger, DiagLogLevel, trace } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [kind, endpoint, calls] = process.argv.slice(2);
const packages = {
  "http-json": ["@opentelemetry/exporter-trace-otlp-http", `http://${endpoint}/v1/traces`],
  "http-protobuf": ["@opentelemetry/exporter-trace-otlp-proto", `http://${endpoint}/v1/traces`],
  grpc: ["@opentelemetry/exporter-trace-otlp-grpc", `http://${endpoint}`],
};
const [name, url] = packages[kind];
const { OTLPTraceExporter } = await import(name);

const logger = new DiagConsoleLogger();
diag.setLogger(
  { ...logger, debug() {}, info() {}, verbose() {}, warn: logger.warn, error(...args) { process.exitCode = 1; logger.error(...args); } },
  DiagLogLevel.WARN,
);

const provider = new BasicTracerProvider({
  resource: resourceFromAttributes({ "service.name": "cart", "tokensense.team": "checkout" }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url, compression: "gzip" }), { maxExportBatchSize: 20 })],
});
const tracer = provider.getTracer("test");
for (let number = 0; number < Number(calls); number += 1) {
  const root = tracer.startSpan("POST /answer");
  const inside = trace.setSpan(context.active(), root);
  const attributes = JSON.parse(process.env.CALL_ATTRIBUTES);
  tracer.startSpan("chat", { attributes }, inside).end();
  root.end();
}
await provider.forceFlush();
await provider.shutdown();
