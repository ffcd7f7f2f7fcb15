package truecount.bench;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.types.StringValue;

/** Binary form of an event for the network between operators: the target, then ten bytes. */
public final class EventSerializer extends TypeSerializerSingleton<Event> {
    static final EventSerializer INSTANCE = new EventSerializer();

    @Override
    public boolean isImmutableType() {
        return false;
    }

    @Override
    public Event createInstance() {
        return new Event();
    }

    @Override
    public Event copy(Event from) {
        return copy(from, new Event());
    }

    @Override
    public Event copy(Event from, Event reuse) {
        reuse.timeMs = from.timeMs;
        reuse.target = from.target;
        reuse.actor = from.actor;
        reuse.account = from.account;
        reuse.watch = from.watch;
        return reuse;
    }

    @Override
    public int getLength() {
        return -1;
    }

    @Override
    public void serialize(Event event, DataOutputView target) throws IOException {
        StringValue.writeString(event.target, target);
        target.writeLong(event.actor);
        target.writeByte(event.account);
        target.writeByte(event.watch);
    }

    @Override
    public Event deserialize(DataInputView source) throws IOException {
        return deserialize(new Event(), source);
    }

    @Override
    public Event deserialize(Event reuse, DataInputView source) throws IOException {
        reuse.target = StringValue.readString(source);
        reuse.actor = source.readLong();
        reuse.account = source.readByte();
        reuse.watch = source.readByte();
        return reuse;
    }

    @Override
    public void copy(DataInputView source, DataOutputView target) throws IOException {
        StringValue.copyString(source, target);
        target.write(source, Long.BYTES + 2);
    }

    @Override
    public TypeSerializerSnapshot<Event> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Flink creates it when it restores state. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Event> {
        public Snapshot() {
            super(() -> INSTANCE);
        }
    }
}
