-- conditions go down to the table whose columns they are of, through computed columns and joins
EXPLAIN SELECT x, name FROM (SELECT bidder, price * 2 AS x FROM bid) JOIN person ON bidder = id WHERE x > 10 AND state = 'OR';
