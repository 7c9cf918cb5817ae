-- q5: auctions with the most bids of each 10 s window, every 2 s
WITH counts AS (
  SELECT auction, COUNT(*) AS num, window_start AS ws, window_end AS we
  FROM TABLE(HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
  GROUP BY auction, window_start, window_end),
tops AS (SELECT MAX(num) AS most, ws, we FROM counts GROUP BY ws, we)
SELECT c.auction, c.num
FROM counts c JOIN tops t ON c.ws = t.ws AND c.we = t.we AND c.num >= t.most;
