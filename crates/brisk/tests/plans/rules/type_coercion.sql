-- numbers of two types are compared as the wider of them
EXPLAIN SELECT auction FROM bid WHERE price > 1.5;
