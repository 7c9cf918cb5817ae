-- tables in a row with a condition are a join
EXPLAIN SELECT a.id, p.name, b.price FROM auction a, person p, bid b WHERE p.id = a.seller AND b.auction = a.id;
