-- bounds of how far two event times are apart make an interval join
EXPLAIN CHANGELOG_MODE SELECT a.id, b.price FROM auction a JOIN bid b ON a.id = b.auction AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '5' SECOND;
