-- what is equal on both sides is the key of the join, the rest a condition
EXPLAIN SELECT a.id FROM auction a LEFT JOIN person p ON a.seller = p.id AND a.reserve < p.id + 7;
