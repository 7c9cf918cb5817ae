-- q19: the ten highest bids of each auction
SELECT * FROM (SELECT auction, bidder, price, channel, url, ts, extra, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS place FROM bid)
WHERE place <= 10;
