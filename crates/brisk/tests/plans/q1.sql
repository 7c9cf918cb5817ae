-- q1: prices in euros
SELECT auction, bidder, 0.908 * price, ts, extra FROM bid;
