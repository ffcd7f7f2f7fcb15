package truecount.bench;

/** What the job needs of an event. One instance is reused by the source: Flink copies it into buffers at once. */
public final class Event {
    static final byte UNKNOWN = 0;
    static final byte OLD = 1;
    static final byte NEW = 2;

    /** Event time, epoch ms. It travels as the timestamp of Flink's record, and is not serialized again. */
    long timeMs;

    String target = "";

    /** A 64-bit hash of the actor's id. */
    long actor;

    /** Age class of the actor's account: UNKNOWN, OLD or NEW. */
    byte account;

    /** Bucket of the watch time, -1 without one. */
    byte watch;
}
