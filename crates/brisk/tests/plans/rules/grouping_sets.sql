-- each row once per set, then one grouping
EXPLAIN CHANGELOG_MODE SELECT channel, bidder, COUNT(*) FROM bid GROUP BY ROLLUP (channel, bidder);
