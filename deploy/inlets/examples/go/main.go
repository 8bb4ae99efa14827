// Publishes three turns to an inlet of memos, as CloudEvents in binary mode, with franz-go.
//
//	go run . -bootstrap 127.0.0.1:9092 -topic inlet.shared -user alice \
//	    -tenant acme -key-id 2026-05 -secret-file acme.secret
//	go run . -vectors ../../signature-vectors.json
//
// Without -secret-file the records are not signed, as for an inlet that is bound to one tenant.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What a signature covers, in this order; a header that a record does not have is an empty line.
var covered = []string{"content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time"}

func canonical(inlet, tenant, keyID string, headers map[string]string, value []byte) ([]byte, error) {
	lines := []string{"memos-inlet-v1", tenant, keyID, inlet}
	for _, name := range covered {
		lines = append(lines, headers[name])
	}
	for _, line := range lines {
		if strings.ContainsFunc(line, unicode.IsControl) {
			return nil, errors.New("a signed name or header holds a control character")
		}
	}
	return append([]byte(strings.Join(lines, "\n")+"\n"), value...), nil
}

func sign(secret, statement []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(statement)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

type options struct {
	bootstrap, topic, user, conversation, tenant, keyID, secretFile string
}

func publish(o options) error {
	inlet := o.topic[strings.LastIndexByte(o.topic, '.')+1:]
	var secret []byte
	if o.secretFile != "" {
		text, err := os.ReadFile(o.secretFile)
		if err != nil {
			return err
		}
		secret = bytes.TrimSpace(text)
	}
	// franz-go waits for all replicas by default. What is sent twice has the same id, and memos takes it once.
	client, err := kgo.NewClient(kgo.SeedBrokers(o.bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	said := [][2]string{{"user", "I moved to Bonn last week."}, {"assistant", "How do you like it?"}, {"user", "I love the river."}}
	for i, turn := range said {
		id := fmt.Sprintf("%s-%d", o.conversation, i+1)
		value, err := json.Marshal(map[string]string{
			"user_id": o.user, "session_id": o.conversation, "role": turn[0], "content": turn[1],
		})
		if err != nil {
			return err
		}
		headers := map[string]string{
			"content-type":   "application/json",
			"ce_specversion": "1.0",
			"ce_id":          id,
			"ce_source":      "/examples/go",
			"ce_type":        "memos.interaction.v1",
			"ce_time":        time.Now().UTC().Format(time.RFC3339Nano),
		}
		if secret != nil {
			statement, err := canonical(inlet, o.tenant, o.keyID, headers, value)
			if err != nil {
				return err
			}
			headers["memos-tenant"], headers["memos-key-id"] = o.tenant, o.keyID
			headers["memos-signature"] = sign(secret, statement)
		}
		// The user is the key, so that the user's turns stay in order.
		record := &kgo.Record{Topic: o.topic, Key: []byte(o.user), Value: value}
		for name, text := range headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: []byte(text)})
		}
		sent, err := client.ProduceSync(ctx, record).First()
		if err != nil {
			return err
		}
		fmt.Printf("published %s to %s/%d at %d\n", id, sent.Topic, sent.Partition, sent.Offset)
	}
	return nil
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var document struct {
		Vectors []struct {
			Name, Secret, Inlet, Tenant string
			KeyID                       string `json:"key_id"`
			Headers                     map[string]string
			Value, Canonical, Signature string
		}
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	for _, v := range document.Vectors {
		statement, err := canonical(v.Inlet, v.Tenant, v.KeyID, v.Headers, []byte(v.Value))
		if err != nil {
			return err
		}
		if string(statement) != v.Canonical || sign([]byte(v.Secret), statement) != v.Signature {
			return fmt.Errorf("the signature differs: %s", v.Name)
		}
	}
	fmt.Printf("%d vectors agree\n", len(document.Vectors))
	return nil
}

func main() {
	var o options
	flag.StringVar(&o.bootstrap, "bootstrap", "127.0.0.1:9092", "a broker")
	flag.StringVar(&o.topic, "topic", "inlet.events", "its end, behind the last dot, is the inlet's name")
	flag.StringVar(&o.user, "user", "alice", "whose memory it is")
	flag.StringVar(&o.conversation, "conversation", "go-"+rand.Text(), "the ids of the turns begin with it")
	flag.StringVar(&o.tenant, "tenant", "", "the tenant that signs")
	flag.StringVar(&o.keyID, "key-id", "", "the tenant's key")
	flag.StringVar(&o.secretFile, "secret-file", "", "the file with the key's secret")
	vectors := flag.String("vectors", "", "check the signature against fixed vectors, and publish nothing")
	flag.Parse()
	var err error
	if *vectors != "" {
		err = check(*vectors)
	} else {
		err = publish(o)
	}
	if err != nil {
		log.Fatal(err)
	}
}
