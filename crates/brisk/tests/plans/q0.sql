-- q0: every bid, unchanged
SELECT auction, bidder, price, ts, extra FROM bid;
