package truecount.bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;

/** Wall and CPU time of the process from the first event of a pass, and the events in windows that were emitted. */
final class Meter {
    private static final OperatingSystemMXBean PROCESS =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    /** Written by one task, read by the main thread. */
    private static volatile long emitted;

    private static volatile boolean begun;
    private static long beganNs;
    private static long beganCpuNs;

    private Meter() {}

    static void reset() {
        emitted = 0;
        begun = false;
    }

    /** Called at the first event of a pass. */
    static void begin() {
        beganNs = System.nanoTime();
        beganCpuNs = PROCESS.getProcessCpuTime();
        begun = true;
    }

    static void add(long events) {
        emitted += events;
    }

    static long emitted() {
        return emitted;
    }

    /** The result of a pass of ``events`` events that ends now, as JSON. */
    static String result(long events) {
        if (!begun) {
            throw new IllegalStateException("no event was read");
        }
        double seconds = (System.nanoTime() - beganNs) / 1e9;
        double cpuSeconds = (PROCESS.getProcessCpuTime() - beganCpuNs) / 1e9;
        return "{\"events\":" + events + ",\"seconds\":" + seconds + ",\"cpu_seconds\":" + cpuSeconds + "}";
    }
}
