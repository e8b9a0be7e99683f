// Asks for a listing's values, prints the prediction, and submits it as the seller's review:
// java -cp 'jars/*' Producer.java BROKER CATEGORY TITLE, with kafka-clients and jackson-databind.

import com.fasterxml.jackson.databind.*;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

public class Producer {
    public static void main(String[] args) throws Exception {
        var json = new ObjectMapper();
        var listing = "java-4712";
        var requestId = UUID.randomUUID().toString();
        Map<String, Object> broker = Map.of("bootstrap.servers", args[0]);
        try (var producer = new KafkaProducer<>(broker, new StringSerializer(), new StringSerializer());
             var consumer = new KafkaConsumer<>(broker, new StringDeserializer(), new StringDeserializer())) {
            // It stands at the ends before the request goes out, so that no answer slips by.
            var places = consumer.partitionsFor("listing.predictions").stream()
                .map(place -> new TopicPartition(place.topic(), place.partition())).toList();
            consumer.assign(places);
            consumer.seekToEnd(places);
            places.forEach(consumer::position);

            var request = Map.of("request_id", requestId, "listing_id", listing, "category", args[1], "title", args[2]);
            producer.send(new ProducerRecord<>("listing.requests", listing, json.writeValueAsString(request))).get();
            JsonNode prediction = null;
            while (prediction == null)
                for (var record : consumer.poll(Duration.ofSeconds(1)))
                    if (record.value().contains(requestId)) prediction = json.readTree(record.value());
            System.out.println(prediction);

            var values = prediction.get("values");
            var review = Map.of("review_id", UUID.randomUUID().toString(), "prediction_id", prediction.get("prediction_id"),
                "request_id", requestId, "listing_id", listing, "category", args[1], "shown", values, "submitted", values);
            producer.send(new ProducerRecord<>("listing.reviews", listing, json.writeValueAsString(review))).get();
        }
    }
}
