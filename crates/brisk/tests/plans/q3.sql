-- q3: sellers in three states with auctions in category 10
SELECT s.name, s.city, s.state, a.id
FROM auction a JOIN person s ON s.id = a.seller
WHERE a.category = 10 AND s.state IN ('OR', 'ID', 'CA');
