import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import java.util.Set;

/** Counting and co-occurrence with Kafka Streams: two state stores with changelogs, items by a repartition topic. */
public final class Peer {
    static final ObjectMapper JSON = new ObjectMapper();
    static final int SLOTS = 64;
    static final int PUBLISHED = 50;
    static final int RECENT = 10;
    static final long GAP_MS = 1_800_000;
    static final double HALF_LIFE_MS = 10 * 86_400_000.0;
    static final int HALF_LIVES_TO_2024 = 1_972;
    static final Set<String> TOUCHES =
        Set.of("select_item", "view_item", "add_to_wishlist", "add_to_cart", "purchase");

    /** The state of a user: counts by name, and the items of the present session, newest first. */
    public static final class User {
        public Map<String, Integer> counts = new HashMap<>();
        public List<String> recent = new ArrayList<>();
        public long last;
    }

    /** An update of an item; an empty partner is a touch of the item itself. */
    public record Update(String partner, double forward, double backward, long time) {}

    /** The state of an item. */
    public static final class Item {
        public int touches;
        public int published;
        public long at;
        public Map<String, double[]> partners = new HashMap<>();
    }

    static final AtomicLong seen = new AtomicLong();
    static final AtomicLong sent = new AtomicLong();
    static final AtomicLong counted = new AtomicLong();
    static final Map<String, Map<String, Integer>> users = new ConcurrentHashMap<>();
    static final Map<String, Integer> items = new ConcurrentHashMap<>();
    static Map<String, String> task;
    static volatile double beganCpu;
    static volatile long began;
    static volatile boolean done;

    static double cpuSeconds() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime() / 1e9;
    }

    static synchronized void look() {
        long now = seen.get(), warm = Long.parseLong(task.get("warm"));
        if (now >= warm && began == 0) {
            beganCpu = cpuSeconds();
            began = System.nanoTime();
        }
        if (began == 0 || done) {
            return;
        }
        boolean whole = now >= Long.parseLong(task.get("events")) && counted.get() >= sent.get();
        double seconds = (System.nanoTime() - began) / 1e9;
        if (!whole && seconds < Double.parseDouble(task.get("seconds"))) {
            return;
        }
        done = true;
        Map<String, Object> report = new HashMap<>();
        report.put("events", now - warm);
        report.put("share", counted.get() / (double) Math.max(1, sent.get()));
        report.put("cpu", cpuSeconds() - beganCpu);
        report.put("seconds", seconds);
        report.put("whole", whole);
        report.put("users", users);
        report.put("items", items);
        try {
            Path path = Path.of(task.get("report")), draft = Path.of(task.get("report") + ".draft");
            Files.write(draft, JSON.writeValueAsBytes(report));
            Files.move(draft, path, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    static <T> Serde<T> json(TypeReference<T> type) {
        Serializer<T> write = (topic, value) -> {
            try {
                return value == null ? null : JSON.writeValueAsBytes(value);
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        };
        Deserializer<T> read = (topic, bytes) -> {
            try {
                return bytes == null ? null : JSON.readValue(bytes, type);
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        };
        return Serdes.serdeFrom(write, read);
    }

    static final class Users implements Processor<String, JsonNode, String, List<Update>> {
        private ProcessorContext<String, List<Update>> context;
        private KeyValueStore<String, User> store;

        @Override
        public void init(ProcessorContext<String, List<Update>> given) {
            context = given;
            store = given.getStateStore("users");
        }

        @Override
        public void process(Record<String, JsonNode> record) {
            JsonNode event = record.value();
            User user = store.get(record.key());
            if (user == null) {
                user = new User();
            }
            long now = event.get("event_time").asLong();
            String name = event.get("event_name").asText();
            if (now - user.last > GAP_MS) {
                user.recent.clear();
            }
            user.last = Math.max(user.last, now);
            user.counts.merge(name, 1, Integer::sum);
            Map<String, List<Update>> updates = new HashMap<>();
            if (TOUCHES.contains(name)) {
                for (JsonNode item : event.get("items")) {
                    pair(user.recent, item.get("item_id").asText(), name, now, updates);
                }
            }
            store.put(record.key(), user);
            users.put(record.key(), Map.copyOf(user.counts));
            sent.addAndGet(updates.size());
            updates.forEach((item, changes) -> context.forward(record.withKey(item).withValue(changes)));
            seen.incrementAndGet();
            look();
        }

        static void pair(List<String> recent, String item, String name, long now, Map<String, List<Update>> into) {
            double weight = switch (name) {
                case "add_to_wishlist" -> 1.5;
                case "add_to_cart", "purchase" -> 2.0;
                default -> 1.0;
            };
            List<Update> own = into.computeIfAbsent(item, key -> new ArrayList<>());
            own.add(new Update("", 0, 0, now));
            for (int place = 0; place < recent.size(); place++) {
                String earlier = recent.get(place);
                double share = weight / (place + 1);
                into.computeIfAbsent(earlier, key -> new ArrayList<>()).add(new Update(item, share, 0, now));
                if (!earlier.equals(item)) {
                    own.add(new Update(earlier, 0, share, now));
                }
            }
            recent.add(0, item);
            if (recent.size() > RECENT) {
                recent.remove(RECENT);
            }
        }
    }

    static final class Items implements FixedKeyProcessor<String, List<Update>, List<String>> {
        private FixedKeyProcessorContext<String, List<String>> context;
        private KeyValueStore<String, Item> store;

        @Override
        public void init(FixedKeyProcessorContext<String, List<String>> given) {
            context = given;
            store = given.getStateStore("items");
        }

        @Override
        public void process(FixedKeyRecord<String, List<Update>> record) {
            Item item = store.get(record.key());
            if (item == null) {
                item = new Item();
            }
            long now = 0;
            for (Update update : record.value()) {
                now = update.time();
                if (update.partner().isEmpty()) {
                    item.touches++;
                    continue;
                }
                if (!item.partners.containsKey(update.partner()) && item.partners.size() >= SLOTS) {
                    var weakest = Comparator.<Map.Entry<String, double[]>>comparingDouble(Peer::strength);
                    item.partners.remove(item.partners.entrySet().stream().min(weakest).get().getKey());
                }
                double grown = Math.pow(2, now / HALF_LIFE_MS - HALF_LIVES_TO_2024);
                double[] weights = item.partners.computeIfAbsent(update.partner(), key -> new double[2]);
                weights[0] += update.forward() * grown;
                weights[1] += update.backward() * grown;
            }
            boolean due = item.touches >= item.published * 1.05 || now - item.at >= 60_000;
            if (due) {
                item.published = item.touches;
                item.at = now;
            }
            store.put(record.key(), item);
            items.put(record.key(), item.touches);
            if (due) {
                var strongest = Comparator.<Map.Entry<String, double[]>>comparingDouble(Peer::strength).reversed();
                context.forward(record.withValue(item.partners.entrySet().stream()
                    .sorted(strongest).limit(PUBLISHED).map(Map.Entry::getKey).toList()));
            }
            counted.incrementAndGet();
            look();
        }
    }

    static double strength(Map.Entry<String, double[]> entry) {
        return entry.getValue()[0] + entry.getValue()[1] / 2;
    }

    static <T> StoreBuilder<KeyValueStore<String, T>> store(String name, TypeReference<T> type) {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.String(), json(type))
            .withCachingEnabled();
    }

    public static void main(String[] arguments) {
        task = new HashMap<>();
        for (int place = 0; place < arguments.length; place += 2) {
            task.put(arguments[place].substring(2), arguments[place + 1]);
        }
        StreamsBuilder builder = new StreamsBuilder();
        var userStore = store("users", new TypeReference<User>() {});
        var itemStore = store("items", new TypeReference<Item>() {});
        var updates = json(new TypeReference<List<Update>>() {});
        var neighbours = json(new TypeReference<List<String>>() {});
        builder.stream(task.get("source"), Consumed.with(Serdes.String(), json(new TypeReference<JsonNode>() {})))
            .process(new ProcessorSupplier<String, JsonNode, String, List<Update>>() {
                @Override
                public Processor<String, JsonNode, String, List<Update>> get() {
                    return new Users();
                }

                @Override
                public Set<StoreBuilder<?>> stores() {
                    return Set.of(userStore);
                }
            })
            .repartition(Repartitioned.with(Serdes.String(), updates))
            .processValues(new FixedKeyProcessorSupplier<String, List<Update>, List<String>>() {
                @Override
                public FixedKeyProcessor<String, List<Update>, List<String>> get() {
                    return new Items();
                }

                @Override
                public Set<StoreBuilder<?>> stores() {
                    return Set.of(itemStore);
                }
            })
            .to(task.get("lists"), Produced.with(Serdes.String(), neighbours));
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, task.get("source") + "-streams");
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, task.get("bootstrap"));
        config.put(StreamsConfig.STATE_DIR_CONFIG, task.get("directory"));
        config.put("auto.offset.reset", "earliest");
        KafkaStreams streams = new KafkaStreams(builder.build(), config);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
