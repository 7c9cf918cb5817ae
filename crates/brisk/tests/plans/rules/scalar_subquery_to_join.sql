-- a subquery that stands for a value is an outer join with its groups
EXPLAIN CHANGELOG_MODE SELECT a.id, (SELECT MAX(b.price) FROM bid b WHERE b.auction = a.id) AS top FROM auction a;
