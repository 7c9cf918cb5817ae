-- columns that nobody reads are not read
EXPLAIN SELECT auction FROM (SELECT *, price * 2 AS twice FROM bid) WHERE channel = 'Apple';
