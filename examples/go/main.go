// Dapr's state samples with its Go SDK, beside a sidecar, over gRPC.
// Prints a line for each sample and ends with an error when an answer is not the one that the sample promises.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"slices"
	"time"

	dapr "github.com/dapr/go-sdk/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const store = "statestore"

var keys = []string{"order_1", "order_2", "order_3", "brief", "query_1", "query_2", "query_3"}

// samples run in this order, each on what the one before has left.
type samples struct {
	ctx    context.Context
	client dapr.Client
}

func main() {
	log.SetFlags(0)
	// The port comes from DAPR_GRPC_ENDPOINT, which `pannier run` sets.
	client, err := dapr.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := samples{ctx, client}
	s.clear()
	s.saveAndGet()
	s.etags()
	s.options()
	s.bulk()
	s.transaction()
	s.transactionConflict()
	s.expiry()
	s.query()
	s.actorState()
	s.metadata()
	s.clear()
}

func say(sample, format string, values ...any) {
	fmt.Printf("%s: %s\n", sample, fmt.Sprintf(format, values...))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// refused ends the program unless the call was refused because of an ETag or of first-write.
func refused(err error) {
	var withStatus interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &withStatus) || withStatus.GRPCStatus().Code() != codes.Aborted {
		log.Fatalf("got %v, want a refusal", err)
	}
}

func (s samples) get(key string) *dapr.StateItem {
	item, err := s.client.GetState(s.ctx, store, key, nil)
	must(err)
	return item
}

func (s samples) save(key, value string) {
	must(s.client.SaveState(s.ctx, store, key, []byte(value), nil))
}

// expect ends the program unless the key has this value; "" stands for a key that is not there.
func (s samples) expect(key, value string) {
	if got := string(s.get(key).Value); got != value {
		log.Fatalf("%s: got %q, want %q", key, got, value)
	}
}

func (s samples) clear() {
	must(s.client.DeleteBulkState(s.ctx, store, keys, nil))
}

func (s samples) saveAndGet() {
	s.save("order_1", "250")
	s.expect("order_1", "250")
	s.expect("order_2", "")
	say("save and get", "order_1 is 250, order_2 is not there")
}

func (s samples) etags() {
	first := s.get("order_1").Etag
	must(s.client.SaveStateWithETag(s.ctx, store, "order_1", []byte("300"), first, nil))
	s.expect("order_1", "300")
	say("save with ETag", "order_1 was at ETag %s and is 300 now", first)

	refused(s.client.SaveStateWithETag(s.ctx, store, "order_1", []byte("1"), first, nil))
	s.expect("order_1", "300")
	say("ETag conflict", "a save with ETag %s is refused, order_1 is still 300", first)

	refused(s.client.DeleteStateWithETag(s.ctx, store, "order_1", &dapr.ETag{Value: first}, nil, nil))
	now := s.get("order_1").Etag
	must(s.client.DeleteStateWithETag(s.ctx, store, "order_1", &dapr.ETag{Value: now}, nil, nil))
	s.expect("order_1", "")
	say("delete with ETag", "refused with the old ETag, done with the new one")
}

func (s samples) options() {
	create := dapr.WithConcurrency(dapr.StateConcurrencyFirstWrite)
	must(s.client.SaveState(s.ctx, store, "order_1", []byte("first"), nil, create))
	refused(s.client.SaveState(s.ctx, store, "order_1", []byte("second"), nil, create))
	s.expect("order_1", "first")
	say("first-write", "order_1 is written once, the second writer is refused")

	strong := dapr.WithConsistency(dapr.StateConsistencyStrong)
	must(s.client.SaveState(s.ctx, store, "order_1", []byte("strong"), nil, strong))
	item, err := s.client.GetStateWithConsistency(s.ctx, store, "order_1", nil, dapr.StateConsistencyStrong)
	must(err)
	if string(item.Value) != "strong" {
		log.Fatalf("got %q, want a strong read", item.Value)
	}
	say("strong consistency", "order_1 is saved and read with it")
}

func (s samples) bulk() {
	must(s.client.SaveBulkState(s.ctx, store,
		&dapr.SetStateItem{Key: "order_1", Value: []byte("250")},
		&dapr.SetStateItem{Key: "order_2", Value: []byte("550")}))
	items, err := s.client.GetBulkState(s.ctx, store, []string{"order_1", "order_2", "order_3"}, nil, 10)
	must(err)
	found := map[string]string{}
	for _, item := range items {
		found[item.Key] = string(item.Value)
	}
	if len(found) != 3 || found["order_1"] != "250" || found["order_2"] != "550" || found["order_3"] != "" {
		log.Fatalf("got %v", found)
	}
	say("bulk save and get", "order_1 is 250, order_2 is 550, order_3 is not there")

	must(s.client.DeleteBulkState(s.ctx, store, []string{"order_1", "order_2"}, nil))
	s.expect("order_1", "")
	s.expect("order_2", "")
	say("bulk delete", "order_1 and order_2 are gone")
}

func (s samples) transaction() {
	s.save("order_2", "550")
	must(s.client.ExecuteStateTransaction(s.ctx, store, nil, []*dapr.StateOperation{
		{Type: dapr.StateOperationTypeUpsert, Item: &dapr.SetStateItem{Key: "order_3", Value: []byte("shipped")}},
		{Type: dapr.StateOperationTypeDelete, Item: &dapr.SetStateItem{Key: "order_2"}},
	}))
	s.expect("order_3", "shipped")
	s.expect("order_2", "")
	say("transaction", "order_3 is written and order_2 deleted")
}

func (s samples) transactionConflict() {
	stale := dapr.ETag{Value: s.get("order_3").Etag}
	s.save("order_3", "lost")
	refused(s.client.ExecuteStateTransaction(s.ctx, store, nil, []*dapr.StateOperation{
		{Type: dapr.StateOperationTypeUpsert, Item: &dapr.SetStateItem{Key: "order_2", Value: []byte("half")}},
		{Type: dapr.StateOperationTypeUpsert, Item: &dapr.SetStateItem{Key: "order_3", Value: []byte("found"), Etag: &stale}},
	}))
	s.expect("order_2", "")
	s.expect("order_3", "lost")
	say("transaction conflict", "one stale ETag, and nothing is written")
}

func (s samples) expiry() {
	must(s.client.SaveState(s.ctx, store, "brief", []byte("here"), map[string]string{"ttlInSeconds": "3"}))
	item := s.get("brief")
	if string(item.Value) != "here" || item.Metadata["ttlExpireTime"] == "" {
		log.Fatalf("got %q with metadata %v", item.Value, item.Metadata)
	}
	deadline := time.Now().Add(10 * time.Second)
	for len(s.get("brief").Value) > 0 && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	s.expect("brief", "")
	say("TTL", "brief is gone at %s", item.Metadata["ttlExpireTime"])
}

type person struct {
	Team string `json:"team"`
	City string `json:"city"`
	ID   int    `json:"id"`
}

func (s samples) query() {
	people := []person{{"samples", "Seattle", 1}, {"samples", "Portland", 2}, {"samples", "Seattle", 3}}
	for _, each := range people {
		value, err := json.Marshal(each)
		must(err)
		isJSON := map[string]string{"contentType": "application/json"}
		must(s.client.SaveState(s.ctx, store, fmt.Sprintf("query_%d", each.ID), value, isJSON))
	}
	wanted := `{
		"filter": {"AND": [{"EQ": {"team": "samples"}}, {"EQ": {"city": "Seattle"}}]},
		"sort": [{"key": "id", "order": "DESC"}]
	}`
	answer, err := s.client.QueryStateAlpha1(s.ctx, store, wanted, nil)
	must(err)
	ids := []int{}
	for _, result := range answer.Results {
		var found person
		must(json.Unmarshal(result.Value, &found))
		ids = append(ids, found.ID)
	}
	if !slices.Equal(ids, []int{3, 1}) {
		log.Fatalf("got %v, want 3 and 1", ids)
	}
	say("query", "3 and 1 live in Seattle")
}

func (s samples) actorState() {
	must(s.client.SaveStateTransactionally(s.ctx, "Robot", "r2", []*dapr.ActorStateOperation{
		{OperationType: "upsert", Key: "mood", Value: []byte(`"calm"`)},
	}))
	found, err := s.client.GetActorState(s.ctx, &dapr.GetActorStateRequest{ActorType: "Robot", ActorID: "r2", KeyName: "mood"})
	must(err)
	if string(found.Data) != `"calm"` {
		log.Fatalf("got %q, want a calm robot", found.Data)
	}
	say("actor state", "Robot r2 is calm")
}

func (s samples) metadata() {
	must(s.client.SetMetadata(s.ctx, "sample", "go"))
	found, err := s.client.GetMetadata(s.ctx)
	must(err)
	if found.ExtendedMetadata["sample"] != "go" {
		log.Fatalf("got %v", found.ExtendedMetadata)
	}
	for _, component := range found.RegisteredComponents {
		if component.Name != store {
			continue
		}
		for _, capability := range []string{"ETAG", "TRANSACTIONAL", "TTL"} {
			if !slices.Contains(component.Capabilities, capability) {
				log.Fatalf("got %v, want %s", component.Capabilities, capability)
			}
		}
		say("metadata", "%s has %s of type %s", found.ID, component.Name, component.Type)
		return
	}
	log.Fatalf("got no component named %s", store)
}
