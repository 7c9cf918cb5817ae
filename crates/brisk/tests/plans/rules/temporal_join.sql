-- FOR SYSTEM_TIME AS OF an event time finds the version of that time
CREATE VIEW latest AS SELECT auction, price, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY ts DESC) AS place FROM bid) WHERE place = 1;
EXPLAIN CHANGELOG_MODE SELECT a.id, b.price FROM auction a JOIN latest FOR SYSTEM_TIME AS OF a.ts AS b ON a.id = b.auction;
