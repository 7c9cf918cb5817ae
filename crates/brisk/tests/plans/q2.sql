-- q2: bids on auctions whose number divides by 123
SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0;
