-- a table that is read twice has one source
EXPLAIN SELECT b.price FROM bid b JOIN (SELECT auction, MAX(price) AS top FROM bid GROUP BY auction) m ON b.auction = m.auction AND b.price = m.top;
