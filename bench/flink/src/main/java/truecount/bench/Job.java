package truecount.bench;

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Per target and ten seconds of event time: count, distinct actors, share of new accounts, watch-time histogram.
 *
 * <p>Arguments: servers, input topic, number of events, directory, seconds until it fails, then an output topic for
 * each pass. Each pass reads the whole input with a new job in the same JVM, and prints its result as a line of JSON.
 */
public final class Job {
    private static final Duration WINDOW = Duration.ofSeconds(10);
    private static final Duration LATENESS = Duration.ofSeconds(10);
    private static final long POLL_MS = 20;

    private Job() {}

    public static void main(String[] arguments) throws Exception {
        String directory = arguments[3];
        long events = Long.parseLong(arguments[2]);
        long deadlineMs = Long.parseLong(arguments[4]) * 1000;
        for (int at = 5; at < arguments.length; at++) {
            System.out.println(pass(arguments[0], arguments[1], arguments[at], events, directory, deadlineMs));
        }
        // Daemons of the client libraries must not keep the process.
        System.exit(0);
    }

    private static String pass(
            String servers, String input, String output, long events, String directory, long deadlineMs)
            throws Exception {
        Meter.reset();
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.createLocalEnvironment(1, settings(directory));
        environment
                .fromSource(source(servers, input), watermarks(), "views", EventType.INSTANCE)
                .keyBy(event -> event.target, Types.STRING)
                .window(TumblingEventTimeWindows.of(WINDOW))
                .process(new Summary(), PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)
                .sinkTo(sink(servers, output));
        JobClient job = environment.executeAsync("peer");
        var end = job.getJobExecutionResult();
        long endMs = System.currentTimeMillis() + deadlineMs;
        while (Meter.emitted() < events) {
            if (end.isDone()) {
                end.get();
            }
            if (System.currentTimeMillis() > endMs) {
                throw new IllegalStateException("windows have " + Meter.emitted() + " of " + events + " events");
            }
            Thread.sleep(POLL_MS);
        }
        // Flink's way to stop with everything committed; without drain, since the last windows are closed already.
        job.stopWithSavepoint(false, "file://" + directory + "/savepoints", SavepointFormatType.NATIVE)
                .get(deadlineMs, TimeUnit.MILLISECONDS);
        end.get(deadlineMs, TimeUnit.MILLISECONDS);
        return Meter.result(events);
    }

    private static Configuration settings(String directory) {
        Configuration settings = new Configuration();
        settings.setString("pipeline.object-reuse", "true");
        settings.setString("pipeline.generic-types", "false");
        settings.setString("taskmanager.numberOfTaskSlots", "1");
        settings.setString("taskmanager.memory.managed.size", "512m");
        settings.setString("execution.checkpointing.interval", "5s");
        settings.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
        settings.setString("execution.checkpointing.incremental", "true");
        settings.setString("execution.checkpointing.storage", "filesystem");
        settings.setString("execution.checkpointing.dir", "file://" + directory + "/checkpoints");
        settings.setString("state.backend.type", "rocksdb");
        settings.setString("state.backend.rocksdb.localdir", directory + "/rocksdb");
        settings.setString("state.backend.rocksdb.timer-service.factory", "HEAP");
        return settings;
    }

    private static WatermarkStrategy<Event> watermarks() {
        return WatermarkStrategy.<Event>forBoundedOutOfOrderness(LATENESS)
                .withTimestampAssigner((event, before) -> event.timeMs);
    }

    private static KafkaSource<Event> source(String servers, String topic) {
        return KafkaSource.<Event>builder()
                .setBootstrapServers(servers)
                .setTopics(topic)
                .setGroupId("flink-peer")
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setDeserializer(new EventDecoder())
                .setProperty("isolation.level", "read_committed")
                .setProperty("max.poll.records", "20000")
                .setProperty("max.partition.fetch.bytes", String.valueOf(2 * 1024 * 1024))
                .build();
    }

    private static KafkaSink<byte[]> sink(String servers, String topic) {
        Properties producer = new Properties();
        producer.setProperty("compression.type", "lz4");
        producer.setProperty("linger.ms", "50");
        producer.setProperty("batch.size", String.valueOf(256 * 1024));
        producer.setProperty("transaction.timeout.ms", "600000");
        return KafkaSink.<byte[]>builder()
                .setBootstrapServers(servers)
                .setKafkaProducerConfig(producer)
                .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
                .setTransactionalIdPrefix(topic)
                .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING)
                .setRecordSerializer(
                        KafkaRecordSerializationSchema.<byte[]>builder()
                                .setTopic(topic)
                                .setKafkaValueSerializer(ByteArraySerializer.class)
                                .build())
                .build();
    }
}
