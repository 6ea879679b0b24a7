"""A shop's graph, served by Strawberry: it knows nothing of tokens."""

import sys

import strawberry
import uvicorn
from strawberry.asgi import GraphQL


@strawberry.type
class Customer:
    name: str
    email: str | None


@strawberry.type
class Product:
    name: str
    price: int


PRODUCTS = [Product(name="Lamp", price=40), Product(name="Chair", price=90)]
CUSTOMERS = [Customer(name="Alice", email="alice@example.com"), Customer(name="Bob", email=None)]


@strawberry.type
class Query:
    @strawberry.field
    def products(self, first: int = 10) -> list[Product]:
        return PRODUCTS[:first]

    @strawberry.field
    def customers(self) -> list[Customer]:
        return CUSTOMERS


if __name__ == "__main__":
    app = GraphQL(strawberry.Schema(query=Query))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
