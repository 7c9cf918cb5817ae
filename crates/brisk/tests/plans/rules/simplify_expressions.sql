-- constants are computed, and what is always true is left out
EXPLAIN SELECT auction FROM bid WHERE price > 1 + 2 AND (auction = auction OR 1 = 1) AND NOT price <= 5;
