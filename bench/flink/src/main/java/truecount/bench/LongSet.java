package truecount.bench;

import java.util.Arrays;

/** A set of hashes with open addressing, cleared and used again for each window. Zero has a flag of its own. */
final class LongSet {
    private static final int FIRST_SLOTS = 64;

    /** Larger tables are not kept: clearing one for each small window after a large one took 5 % of the time. */
    private static final int KEPT_SLOTS = 1024;

    private long[] slots = new long[FIRST_SLOTS];
    private int size;
    private boolean zero;

    void clear() {
        if (slots.length > KEPT_SLOTS) {
            slots = new long[FIRST_SLOTS];
        } else if (size > 0) {
            Arrays.fill(slots, 0L);
        }
        size = 0;
        zero = false;
    }

    void add(long hash) {
        if (hash == 0) {
            zero = true;
        } else if (insert(hash) && ++size * 2 > slots.length) {
            grow();
        }
    }

    int size() {
        return size + (zero ? 1 : 0);
    }

    private boolean insert(long hash) {
        int mask = slots.length - 1;
        for (int at = (int) hash & mask; ; at = at + 1 & mask) {
            if (slots[at] == hash) {
                return false;
            }
            if (slots[at] == 0) {
                slots[at] = hash;
                return true;
            }
        }
    }

    private void grow() {
        long[] before = slots;
        slots = new long[before.length * 2];
        for (long hash : before) {
            if (hash != 0) {
                insert(hash);
            }
        }
    }
}
