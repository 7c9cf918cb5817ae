-- q14: bids between two prices, with the time of day and a character count by a user function
SELECT auction, bidder, 0.908 * price,
  CASE WHEN HOUR(ts) >= 8 AND HOUR(ts) <= 18 THEN 'dayTime'
       WHEN HOUR(ts) <= 6 OR HOUR(ts) >= 20 THEN 'nightTime'
       ELSE 'otherTime' END,
  ts, extra, count_char(extra, 'c')
FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000;
