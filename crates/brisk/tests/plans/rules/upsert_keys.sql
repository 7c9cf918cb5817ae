-- a table whose primary key tells rows apart as the query does needs nothing in front of it
CREATE TABLE per_channel (channel STRING, bids BIGINT, PRIMARY KEY (channel) NOT ENFORCED) WITH ('connector' = 'blackhole');
EXPLAIN CHANGELOG_MODE INSERT INTO per_channel SELECT channel, COUNT(*) FROM bid GROUP BY channel;
