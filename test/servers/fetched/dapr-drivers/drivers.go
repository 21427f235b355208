package main

import (
	"github.com/dapr/components-contrib/state"
	"github.com/dapr/components-contrib/state/aws/dynamodb"
	"github.com/dapr/components-contrib/state/azure/blobstorage/v2"
	"github.com/dapr/components-contrib/state/azure/cosmosdb"
	"github.com/dapr/components-contrib/state/azure/tablestorage"
	"github.com/dapr/components-contrib/state/cassandra"
	"github.com/dapr/components-contrib/state/cockroachdb"
	"github.com/dapr/components-contrib/state/etcd"
	"github.com/dapr/components-contrib/state/gcp/firestore"
	inmemory "github.com/dapr/components-contrib/state/in-memory"
	"github.com/dapr/components-contrib/state/jetstream"
	"github.com/dapr/components-contrib/state/memcached"
	"github.com/dapr/components-contrib/state/mongodb"
	"github.com/dapr/components-contrib/state/mysql"
	postgresqlv1 "github.com/dapr/components-contrib/state/postgresql/v1"
	postgresqlv2 "github.com/dapr/components-contrib/state/postgresql/v2"
	"github.com/dapr/components-contrib/state/redis"
	"github.com/dapr/components-contrib/state/sqlite"
	"github.com/dapr/components-contrib/state/sqlserver"
	sqlserverv2 "github.com/dapr/components-contrib/state/sqlserver/v2"
	"github.com/dapr/components-contrib/state/zookeeper"
	"github.com/dapr/kit/logger"
)

// drivers by their type, and "/v2" behind it for the second version.
var drivers = map[string]func(logger.Logger) state.Store{
	"aws.dynamodb":         dynamodb.NewDynamoDBStateStore,
	"azure.blobstorage/v2": blobstorage.NewAzureBlobStorageStore,
	"azure.cosmosdb":       cosmosdb.NewCosmosDBStateStore,
	"azure.tablestorage":   tablestorage.NewAzureTablesStateStore,
	"cassandra":            cassandra.NewCassandraStateStore,
	"cockroachdb":          cockroachdb.New,
	"etcd":                 etcd.NewEtcdStateStoreV1,
	"etcd/v2":              etcd.NewEtcdStateStoreV2,
	"gcp.firestore":        firestore.NewFirestoreStateStore,
	"in-memory":            inmemory.NewInMemoryStateStore,
	"jetstream":            jetstream.NewJetstreamStateStore,
	"memcached":            memcached.NewMemCacheStateStore,
	"mongodb":              mongodb.NewMongoDB,
	"mysql":                mysql.NewMySQLStateStore,
	"postgresql":           postgresqlv1.NewPostgreSQLStateStore,
	"postgresql/v2":        postgresqlv2.NewPostgreSQLStateStore,
	"redis":                redis.NewRedisStateStore,
	"sqlite":               sqlite.NewSQLiteStateStore,
	"sqlserver":            sqlserver.New,
	"sqlserver/v2":         sqlserverv2.New,
	"zookeeper":            zookeeper.NewZookeeperStateStore,
}
