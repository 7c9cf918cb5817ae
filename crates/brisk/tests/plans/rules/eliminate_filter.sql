-- a condition that always holds is none
EXPLAIN SELECT auction FROM bid WHERE TRUE;
