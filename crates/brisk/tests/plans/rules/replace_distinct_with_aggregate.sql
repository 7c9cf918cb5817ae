-- DISTINCT is a grouping by all columns
EXPLAIN CHANGELOG_MODE SELECT DISTINCT channel, auction FROM bid;
