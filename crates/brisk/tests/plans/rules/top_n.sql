-- ROW_NUMBER with a bound around it keeps the first rows of each key; nobody reads the place, so none is given
EXPLAIN CHANGELOG_MODE SELECT auction, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS place FROM bid) WHERE place <= 3;
