import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Publishes three turns to an inlet of memos, as CloudEvents in structured mode, with kafka-clients and Jackson.
 *
 * <pre>
 * java -cp 'libs/*' Publish.java --bootstrap 127.0.0.1:9092 --topic inlet.shared --user alice \
 *     --tenant acme --key-id 2026-05 --secret-file acme.secret
 * java -cp 'libs/*' Publish.java --vectors ../../signature-vectors.json
 * </pre>
 *
 * Without --secret-file the records are not signed, as for an inlet that is bound to one tenant.
 */
public class Publish {
    /** What a signature covers, in this order; a header that a record does not have is an empty line. */
    private static final List<String> COVERED = List.of(
            "content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time");

    private static final ObjectMapper JSON = new ObjectMapper();

    static byte[] canonical(String inlet, String tenant, String keyId, Map<String, String> headers, byte[] value) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        List<String> named = List.of("memos-inlet-v1", tenant, keyId, inlet);
        for (int i = 0; i < named.size() + COVERED.size(); i++) {
            String line = i < named.size() ? named.get(i) : headers.getOrDefault(COVERED.get(i - named.size()), "");
            if (line.chars().anyMatch(Character::isISOControl)) {
                throw new IllegalArgumentException("a signed name or header holds a control character");
            }
            bytes.writeBytes((line + "\n").getBytes(UTF_8));
        }
        bytes.writeBytes(value);
        return bytes.toByteArray();
    }

    static String sign(byte[] secret, byte[] canonical) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(secret, "HmacSHA256"));
        return Base64.getEncoder().encodeToString(mac.doFinal(canonical));
    }

    static void publish(Map<String, String> args) throws Exception {
        String topic = args.getOrDefault("--topic", "inlet.events");
        String inlet = topic.substring(topic.lastIndexOf('.') + 1);
        String user = args.getOrDefault("--user", "alice");
        String conversation = args.getOrDefault("--conversation", "java-" + UUID.randomUUID());
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", args.getOrDefault("--bootstrap", "127.0.0.1:9092"),
                // What was answered is on every replica. What is sent twice has the same id, and memos takes it once.
                "acks", "all");
        String[][] said = {
            {"user", "I moved to Bonn last week."}, {"assistant", "How do you like it?"}, {"user", "I love the river."}
        };
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int number = 1; number <= said.length; number++) {
                Map<String, Object> event = new LinkedHashMap<>();
                event.put("specversion", "1.0");
                event.put("id", conversation + "-" + number);
                event.put("source", "/examples/java");
                event.put("type", "memos.interaction.v1");
                event.put("time", Instant.now().truncatedTo(ChronoUnit.MILLIS).toString());
                event.put("data", Map.of(
                        "user_id", user, "session_id", conversation, "role", said[number - 1][0], "content", said[number - 1][1]));
                byte[] value = JSON.writeValueAsBytes(event);
                Map<String, String> headers = new HashMap<>();
                headers.put("content-type", "application/cloudevents+json");
                if (args.containsKey("--secret-file")) {
                    byte[] secret = Files.readString(Path.of(args.get("--secret-file"))).strip().getBytes(UTF_8);
                    String tenant = args.get("--tenant");
                    String keyId = args.get("--key-id");
                    String signature = sign(secret, canonical(inlet, tenant, keyId, headers, value));
                    headers.put("memos-tenant", tenant);
                    headers.put("memos-key-id", keyId);
                    headers.put("memos-signature", signature);
                }
                // The user is the key, so that the user's turns stay in order.
                var record = new ProducerRecord<>(topic, user.getBytes(UTF_8), value);
                headers.forEach((name, text) -> record.headers().add(name, text.getBytes(UTF_8)));
                var sent = producer.send(record).get();
                System.out.printf("published %s to %s/%d at %d%n", event.get("id"), sent.topic(), sent.partition(), sent.offset());
            }
        }
    }

    static void check(Path path) throws Exception {
        JsonNode vectors = JSON.readTree(Files.readAllBytes(path)).get("vectors");
        for (JsonNode vector : vectors) {
            Map<String, String> headers = new HashMap<>();
            vector.get("headers").properties().forEach(header -> headers.put(header.getKey(), header.getValue().asText()));
            byte[] canonical = canonical(
                    vector.get("inlet").asText(), vector.get("tenant").asText(), vector.get("key_id").asText(), headers,
                    vector.get("value").asText().getBytes(UTF_8));
            String name = vector.get("name").asText();
            if (!Arrays.equals(canonical, vector.get("canonical").asText().getBytes(UTF_8))) {
                throw new AssertionError("the bytes to sign differ: " + name);
            }
            if (!sign(vector.get("secret").asText().getBytes(UTF_8), canonical).equals(vector.get("signature").asText())) {
                throw new AssertionError("the signature differs: " + name);
            }
        }
        System.out.printf("%d vectors agree%n", vectors.size());
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> args = new HashMap<>();
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            args.put(arguments[i], arguments[i + 1]);
        }
        if (args.containsKey("--vectors")) {
            check(Path.of(args.get("--vectors")));
        } else {
            publish(args);
        }
    }
}
