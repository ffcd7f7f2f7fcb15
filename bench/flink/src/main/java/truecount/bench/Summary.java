package truecount.bench;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.nio.charset.StandardCharsets;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** What one window of one target is reduced to: count, distinct actors, share of new accounts, watch-time histogram. */
public final class Summary extends ProcessWindowFunction<Event, byte[], String, TimeWindow> {
    static final int WATCH_BUCKETS = 16;

    private transient LongSet actors;
    private transient int[] histogram;
    private transient StringBuilder text;

    @Override
    public void process(String target, Context context, Iterable<Event> events, Collector<byte[]> out) {
        if (actors == null) {
            actors = new LongSet();
            histogram = new int[WATCH_BUCKETS];
            text = new StringBuilder(256);
        }
        actors.clear();
        java.util.Arrays.fill(histogram, 0);
        long count = 0;
        long known = 0;
        long young = 0;
        for (Event event : events) {
            count++;
            actors.add(event.actor);
            if (event.account != Event.UNKNOWN) {
                known++;
                young += event.account == Event.NEW ? 1 : 0;
            }
            if (event.watch >= 0) {
                histogram[event.watch]++;
            }
        }
        out.collect(json(target, context.window().getStart(), count, known, young));
        Meter.add(count);
    }

    private byte[] json(String target, long startMs, long count, long known, long young) {
        text.setLength(0);
        text.append("{\"target\":\"");
        JsonStringEncoder.getInstance().quoteAsString(target, text);
        text.append("\",\"start\":").append(startMs);
        text.append(",\"count\":").append(count).append(",\"actors\":").append(actors.size());
        text.append(",\"new_share\":");
        if (known == 0) {
            text.append("null");
        } else {
            text.append((double) young / known);
        }
        text.append(",\"watch\":[");
        for (int bucket = 0; bucket < WATCH_BUCKETS; bucket++) {
            text.append(bucket == 0 ? "" : ",").append(histogram[bucket]);
        }
        return text.append("]}").toString().getBytes(StandardCharsets.UTF_8);
    }
}
