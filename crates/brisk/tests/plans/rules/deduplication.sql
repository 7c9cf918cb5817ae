-- one row per key
EXPLAIN CHANGELOG_MODE SELECT auction, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY ts) AS place FROM bid) WHERE place = 1;
