//! Orders get the name of their customer from a service that answers later, in any order, and sometimes not at the first time.
//!
//! Many requests are under way at once; `map_async_ordered` gives the results in the order of the orders.

use brisk::prelude::*;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

#[derive(Clone, Debug, PartialEq, Record)]
struct Order {
    id: u64,
    customer: u64,
}

#[derive(Clone, Debug, PartialEq, Record)]
struct Enriched {
    order: Order,
    customer: String,
}

/// Stands for the client of a service: it answers on a thread of its own, the last of several questions first.
#[derive(Clone)]
struct CustomerService {
    questions: Sender<(u64, Arc<Mutex<Answer>>)>,
}

#[derive(Default)]
struct Answer {
    name: Option<Result<String>>,
    waker: Option<Waker>,
}

impl CustomerService {
    fn start() -> Result<Self> {
        let (questions, asked) = channel::<(u64, Arc<Mutex<Answer>>)>();
        std::thread::Builder::new().name("customers".to_owned()).spawn(move || {
            let mut asked_before = 0;
            while let Ok(first) = asked.recv() {
                let waiting: Vec<_> = std::iter::once(first).chain(asked.try_iter()).collect();
                for (customer, answer) in waiting.into_iter().rev() {
                    asked_before += 1;
                    let busy = asked_before % 10 == 0;
                    let name = if busy { Err(Error::transient("the service is busy")) } else { Ok(format!("customer {customer}")) };
                    let mut answer = answer.lock().expect("nobody panics with it");
                    answer.name = Some(name);
                    answer.waker.take().into_iter().for_each(Waker::wake);
                }
            }
        })?;
        Ok(Self { questions })
    }

    async fn name_of(self, customer: u64) -> Result<String> {
        let answer = Arc::new(Mutex::new(Answer::default()));
        self.questions.send((customer, Arc::clone(&answer)))?;
        std::future::poll_fn(|cx| {
            let mut answer = answer.lock().expect("nobody panics with it");
            answer.waker = Some(cx.waker().clone());
            answer.name.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

fn main() -> Result<()> {
    let env = StreamEnvironment::get()?;
    let service = CustomerService::start()?;
    let orders: Vec<Order> = (0..1000).map(|id| Order { id, customer: id % 7 }).collect();
    let options = AsyncOptions::timeout(seconds(30)).capacity(50).retry(AsyncRetry::fixed_delay(5, millis(1)));
    let enriched = env
        .from_collection(orders.clone())
        .map_async_ordered(
            move |order: Order| {
                let service = service.clone();
                async move { Ok(Enriched { customer: service.name_of(order.customer).await?, order }) }
            },
            options,
        )
        .collect()?;
    println!("{} orders enriched, the last one: {:?}", enriched.len(), enriched[999]);
    assert!(enriched.iter().map(|enriched| &enriched.order).eq(&orders), "in their order, each once");
    assert!(enriched.iter().all(|enriched| enriched.customer == format!("customer {}", enriched.order.customer)));
    Ok(())
}
