// Asks for a listing's values, prints the prediction, and submits it as the seller's review:
// node producer.js BROKER CATEGORY TITLE, after npm install kafkajs.

const { randomUUID } = require("node:crypto");
const { Kafka, Partitioners, logLevel } = require("kafkajs");

async function main(broker, category, title) {
  const listing = { listing_id: "node-4711", request_id: randomUUID(), category };
  const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  const consumer = kafka.consumer({ groupId: `producer-${listing.request_id}` });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner }); // murmur2
  await Promise.all([admin.connect(), consumer.connect(), producer.connect()]);
  const send = (topic, event) =>
    producer.send({ topic, messages: [{ key: listing.listing_id, value: JSON.stringify(event) }] });

  // The group stands at the ends before the request goes out, so that no answer slips by.
  const topic = "listing.predictions";
  const ends = await admin.fetchTopicOffsets(topic);
  await admin.setOffsets({ groupId: `producer-${listing.request_id}`, topic, partitions: ends });
  await consumer.subscribe({ topics: [topic] });
  const answered = new Promise((resolve) => {
    consumer.run({
      eachMessage: async ({ message }) => {
        const prediction = JSON.parse(message.value);
        if (prediction.request_id === listing.request_id) resolve(prediction);
      },
    });
  });
  await send("listing.requests", { ...listing, title });
  const { prediction_id, values, ...more } = await answered;
  console.log(JSON.stringify({ prediction_id, values, ...more }));

  await send("listing.reviews", { review_id: randomUUID(), ...listing, prediction_id, shown: values, submitted: values });
  await Promise.all([admin, consumer, producer].map((client) => client.disconnect()));
}

main(...process.argv.slice(2));
