CREATE TABLE person (
  id BIGINT, name STRING, email STRING, card STRING, city STRING, state STRING, ts TIMESTAMP(3), extra STRING,
  WATERMARK FOR ts AS ts - INTERVAL '4' SECOND
) WITH ('connector' = 'nexmark');
CREATE TABLE auction (
  id BIGINT, item STRING, description STRING, initial_bid BIGINT, reserve BIGINT, ts TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT,
  category BIGINT, extra STRING, WATERMARK FOR ts AS ts - INTERVAL '4' SECOND
) WITH ('connector' = 'nexmark');
CREATE TABLE bid (
  auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, ts TIMESTAMP(3), extra STRING,
  WATERMARK FOR ts AS ts - INTERVAL '4' SECOND
) WITH ('connector' = 'nexmark');
CREATE TABLE side (k BIGINT, v STRING) WITH ('connector' = 'filesystem', 'path' = 'side.csv', 'format' = 'csv', 'lookup.cache' = 'FULL');
