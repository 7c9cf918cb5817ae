-- q4: mean of the winning prices of each category
WITH best AS (
  SELECT a.id, a.category, MAX(b.price) AS top
  FROM auction a JOIN bid b ON b.auction = a.id
  WHERE b.ts BETWEEN a.ts AND a.expires
  GROUP BY a.id, a.category)
SELECT category, AVG(top) FROM best GROUP BY category;
