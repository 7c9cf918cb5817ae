-- ORDER BY with LIMIT is a Top-N of all rows
EXPLAIN CHANGELOG_MODE SELECT auction, price FROM bid ORDER BY price DESC LIMIT 10 OFFSET 5;
