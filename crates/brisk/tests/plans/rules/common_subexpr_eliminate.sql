-- what stands twice is computed once
EXPLAIN SELECT REGEXP_EXTRACT(url, 'item=([0-9]+)', 1) AS item, CHAR_LENGTH(REGEXP_EXTRACT(url, 'item=([0-9]+)', 1)) AS digits FROM bid;
