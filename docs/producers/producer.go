// Asks for a listing's values, prints the prediction, and submits it as the seller's review:
// go run producer.go BROKER CATEGORY TITLE.
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

type event map[string]any

func main() {
	listing, category, title := "go-4711", os.Args[2], os.Args[3]
	// librdkafka's own partitioner would part a listing's request from its answer.
	producer := must(kafka.NewProducer(&kafka.ConfigMap{"bootstrap.servers": os.Args[1], "partitioner": "murmur2_random"}))
	consumer := must(kafka.NewConsumer(&kafka.ConfigMap{"bootstrap.servers": os.Args[1], "group.id": rand.Text()}))
	send := func(topic string, sent event) {
		delivered := make(chan kafka.Event, 1)
		place := kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}
		message := &kafka.Message{TopicPartition: place, Key: []byte(listing), Value: must(json.Marshal(sent))}
		must(0, producer.Produce(message, delivered))
		must(0, (<-delivered).(*kafka.Message).TopicPartition.Error)
	}

	// It stands at the ends before the request goes out, so that no answer slips by.
	topic := "listing.predictions"
	var ends []kafka.TopicPartition
	for _, partition := range must(consumer.GetMetadata(&topic, false, 10000)).Topics[topic].Partitions {
		_, end, err := consumer.QueryWatermarkOffsets(topic, partition.ID, 10000)
		must(end, err)
		ends = append(ends, kafka.TopicPartition{Topic: &topic, Partition: partition.ID, Offset: kafka.Offset(end)})
	}
	must(0, consumer.Assign(ends))
	asked := event{"request_id": rand.Text(), "listing_id": listing, "category": category, "title": title}
	send("listing.requests", asked)
	prediction := event{}
	for prediction["request_id"] != asked["request_id"] {
		prediction = event{}
		must(0, json.Unmarshal(must(consumer.ReadMessage(time.Minute)).Value, &prediction))
	}
	fmt.Println(string(must(json.Marshal(prediction))))

	values := prediction["values"]
	send("listing.reviews", event{"review_id": rand.Text(), "prediction_id": prediction["prediction_id"],
		"request_id": asked["request_id"], "listing_id": listing, "category": category, "shown": values, "submitted": values})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
