package truecount.bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Decodes native JSON with Jackson's streaming parser: only the fields that the job needs become values. */
public final class EventDecoder implements KafkaRecordDeserializationSchema<Event> {
    private static final JsonFactory FACTORY = new JsonFactory();
    private static final long NEW_MS = 30L * 86_400_000L;
    private static final int WATCH_BUCKETS = Summary.WATCH_BUCKETS;

    private transient Event event;

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Event> out) throws IOException {
        if (event == null) {
            event = new Event();
            Meter.begin();
        }
        decode(record.value(), event);
        out.collect(event);
    }

    static void decode(byte[] value, Event event) throws IOException {
        long timeMs = 0;
        long createdMs = -1;
        event.watch = -1;
        event.actor = 0;
        try (JsonParser parser = FACTORY.createParser(value, 0, value.length)) {
            parser.nextToken();
            String name;
            while ((name = parser.nextFieldName()) != null) {
                JsonToken token = parser.nextToken();
                switch (name) {
                    case "ts" -> timeMs = parser.getLongValue();
                    case "target" -> event.target = parser.getText();
                    case "actor" ->
                            event.actor =
                                    hash(parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength());
                    case "watch_ms" -> event.watch = watchBucket(parser.getLongValue());
                    case "actor_created_at" -> createdMs = parser.getLongValue();
                    default -> {
                        if (token.isStructStart()) {
                            parser.skipChildren();
                        }
                    }
                }
            }
        }
        event.timeMs = timeMs;
        event.account = createdMs < 0 ? Event.UNKNOWN : timeMs - createdMs < NEW_MS ? Event.NEW : Event.OLD;
    }

    /** Buckets are powers of two of seconds. */
    static byte watchBucket(long watchMs) {
        int bits = Long.SIZE - Long.numberOfLeadingZeros(watchMs / 1000);
        return (byte) Math.min(bits, WATCH_BUCKETS - 1);
    }

    /** A 64-bit hash of some characters: a polynomial, then the finalizer of MurmurHash3. */
    static long hash(char[] characters, int offset, int length) {
        long hash = length;
        for (int at = offset; at < offset + length; at++) {
            hash = hash * 0x9E3779B97F4A7C15L + characters[at];
        }
        hash = (hash ^ hash >>> 33) * 0xFF51AFD7ED558CCDL;
        hash = (hash ^ hash >>> 33) * 0xC4CEB9FE1A85EC53L;
        return hash ^ hash >>> 33;
    }

    @Override
    public TypeInformation<Event> getProducedType() {
        return EventType.INSTANCE;
    }
}
